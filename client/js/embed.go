// Package js has the JavaScript client of Encke, for the server to serve.
package js

import _ "embed"

// Source is encke.js.
//
//go:embed encke.js
var Source []byte

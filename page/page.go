// Package page holds the live page that the server shows at its public address with --dev.
package page

import _ "embed"

// HTML is the page; it needs nothing from outside.
//
//go:embed index.html
var HTML []byte

// Package page holds the pages that the server shows: the live page at its public address with --dev, and the console at the backend
// listener.
package page

import _ "embed"

// HTML is the page; it needs nothing from outside.
//
//go:embed index.html
var HTML []byte

// Console is the page of the backend listener; it needs nothing from outside. Its script and its style stand in elements without
// attributes: the server lets them run by their hashes.
//
//go:embed console.html
var Console []byte

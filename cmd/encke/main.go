// Command encke is the Comet server: it holds the browsers' connections and delivers what the backend pushes.
package main

import (
	"fmt"
	"os"
)

const usage = `encke is a Comet server: browsers connect, the backend pushes, pages are told at once.

Usage:
  encke serve [flags]   run the server; encke serve --help explains every flag
  encke token [flags]   print a token for trying things out
  encke doctor [flags]  compare this machine's settings with what connections need
  encke version         print the version
  encke help            print this
`

// version is set by the Makefile (-ldflags -X main.version=…).
var version = "unreleased"

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit status: 0 done, 1 failed, 2 wrong usage.
func run(args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	switch args[0] {
	case "serve":
		return serve(args[1:])
	case "token":
		return issue(args[1:])
	case "doctor":
		return diagnose(args[1:])
	case "version", "--version":
		fmt.Println("encke", version)
		return 0
	case "help", "--help", "-h":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprintf(os.Stderr, "encke: unknown command %q\n\n%s", args[0], usage)
	return 2
}

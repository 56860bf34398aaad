package floor

import (
	"fmt"
	"io"
	"strconv"
)

// Main is the subcommand that runs Child: its only argument, which may be left out, is the port.
func Main(args []string, in io.Reader, out io.Writer) error {
	port := 0
	if len(args) > 0 {
		n, err := strconv.ParseUint(args[0], 10, 16)
		if err != nil {
			return fmt.Errorf("cannot listen on port %q: %w", args[0], err)
		}
		port = int(n)
	}
	return Child(in, out, port)
}

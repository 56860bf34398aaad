package report

import "fmt"

// Number formats a value with three or four digits.
func Number(v float64) string {
	switch {
	case v >= 1e4 || v <= -1e4 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

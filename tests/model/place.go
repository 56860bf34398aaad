package model

import (
	"fmt"
	"strconv"
	"strings"
)

// place is a position as the checker reads it. Clients never look into positions; the checker must.
type place struct {
	epoch  string
	offset uint64
}

func (p place) String() string { return fmt.Sprintf("%s.%d", p.epoch, p.offset) }

// readPlace reads the position of one channel.
func readPlace(position string) (place, error) {
	epoch, digits, _ := strings.Cut(position, ".")
	offset, err := strconv.ParseUint(digits, 10, 64)
	if epoch == "" || err != nil {
		return place{}, fmt.Errorf("%q is no position", position)
	}
	return place{epoch, offset}, nil
}

// readPlaces reads the position of n channels: a bare offset takes the epoch of the item before it.
func readPlaces(list string, n int) ([]place, error) {
	items := strings.Split(list, ",")
	if len(items) != n {
		return nil, fmt.Errorf("%q has %d positions, for %d channels", list, len(items), n)
	}
	places := make([]place, n)
	for i, item := range items {
		if !strings.Contains(item, ".") && i > 0 {
			item = places[i-1].epoch + "." + item
		}
		var err error
		if places[i], err = readPlace(item); err != nil {
			return nil, err
		}
	}
	return places, nil
}

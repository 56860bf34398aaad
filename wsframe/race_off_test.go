//go:build !race

package wsframe

const underRace = false

//go:build race

package wsframe

// underRace: the race detector allocates, so nothing can be said about allocations.
const underRace = true

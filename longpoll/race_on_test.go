//go:build race

package longpoll

// raceDetector relaxes the assertions about allocations: the detector allocates on its own.
const raceDetector = true

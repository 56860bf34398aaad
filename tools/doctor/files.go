package doctor

import "fmt"

// own is what encke keeps of its descriptors for itself.
const own = 64

func descriptors(s Source, n int) []Finding {
	soft, hard := s.Limit()
	want := uint64(n) + own
	f := Finding{Setting: "RLIMIT_NOFILE", Live: fmt.Sprint(hard), Want: fmt.Sprintf("≥ %d", want), State: OK}
	if soft != hard {
		f.Live = fmt.Sprintf("%d (soft %d, which encke raises)", hard, soft)
	}
	if hard < want {
		f.State, f.Why = Raise, fmt.Sprintf("a process may open no more files than that; it would hold %d connections", max(int64(hard)-own, 0))
		f.Fix = fmt.Sprintf("LimitNOFILE=%d in the unit of encke, or ulimit -n %d as root before starting it; or several processes with --share-port", want, want)
	}
	return []Finding{f}
}

func openable(s Source, n int) []Finding {
	return s.atLeast("fs.nr_open", int64(n)+own, Raise, "RLIMIT_NOFILE cannot be raised beyond it")
}

func fileMax(s Source, n int) []Finding {
	nr := s.numbers("/proc/sys/fs/file-nr")
	if len(nr) < 3 {
		return absent("fs.file-max")
	}
	want := nr[0] + int64(n) + 10_000
	f := Finding{Setting: "fs.file-max", Live: fmt.Sprintf("%d (%d in use)", nr[2], nr[0]), Want: fmt.Sprintf("≥ %d", want), State: OK}
	if nr[2] < want {
		f.State, f.Why = Raise, "files of the whole machine; beyond it accept(2) fails with ENFILE for everybody"
		f.Fix = fmt.Sprintf("sysctl -w fs.file-max=%d", want)
	}
	return []Finding{f}
}

// watches are the epoll entries that one user may have: by default 4 % of memory, at 184 bytes each (epoll(7)).
func watches(s Source, n int) []Finding {
	return s.atLeast("fs.epoll.max_user_watches", int64(n)+own, Raise, "epoll_ctl(2) fails with ENOSPC beyond it, for all processes of the user together")
}

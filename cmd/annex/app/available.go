package app

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	// leastMemory is what a server without workspaces needs.
	leastMemory = 64 << 20
	// unknownMemory is assumed where neither a cgroup nor the system says how much memory there is.
	unknownMemory = 2 << 30
)

// availableMemory returns how many bytes the process may use: the smallest limit of its cgroups, or the memory of the machine. It reads
// /proc and /sys below root.
func availableMemory(root fs.FS) int64 {
	available := int64(unknownMemory)
	if kib := field(read(root, "proc/meminfo"), "MemTotal:"); kib > 0 {
		available = kib << 10
	}
	for _, line := range strings.Split(read(root, "proc/self/cgroup"), "\n") {
		// Version 2 has one line, 0::/path; version 1 has one for each controller, such as 4:memory:/path.
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		switch controllers := strings.Split(parts[1], ","); {
		case parts[0] == "0" && parts[1] == "":
		case slices.Contains(controllers, "memory"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// A limit of any group above holds, too. In a container, the paths of the host may be missing, and the base is its own group.
		for folder := path.Clean("/" + parts[2]); ; folder = path.Dir(folder) {
			if limit, err := strconv.ParseInt(strings.TrimSpace(read(root, path.Join(base, folder, file))), 10, 64); err == nil && limit > 0 {
				available = min(available, limit)
			}
			if folder == "/" {
				break
			}
		}
	}
	return available
}

// read returns the content of a file; nothing if it cannot be read.
func read(root fs.FS, name string) string {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(data)
}

// field returns the number that follows name in text; 0 if there is none.
func field(text, name string) int64 {
	_, rest, _ := strings.Cut(text, name)
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

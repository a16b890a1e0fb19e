package app

import (
	"testing"
	"testing/fstest"
)

func TestAvailableMemory(t *testing.T) {
	const machine = "MemTotal:       16384 kB\nMemFree: 1 kB\n"
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known":            {nil, unknownMemory},
		"a machine":                   {map[string]string{"proc/meminfo": machine}, 16 << 20},
		"a container, version 2":      {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1048576\n"}, 1 << 20},
		"without a limit":             {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 16 << 20},
		"a group on a host":           {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max", "sys/fs/cgroup/a/memory.max": "4096"}, 4096},
		"version 1":                   {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "5:cpu:/c\n4:memory,x:/c\n", "sys/fs/cgroup/memory/c/memory.limit_in_bytes": "8192"}, 8192},
		"version 1, in a container":   {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/docker/1\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "8192"}, 8192},
		"version 1, without a limit":  {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 16 << 20},
		"what cannot be read is none": {map[string]string{"proc/meminfo": "MemTotal: x", "proc/self/cgroup": "x"}, unknownMemory},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for file, text := range tc.files {
				root[file] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := availableMemory(root); got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}
}

package sandbox

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// allCapabilities returns those that this kernel knows.
func allCapabilities() ([]uintptr, error) {
	data, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return nil, fmt.Errorf("asking for the last capability: %w", err)
	}
	last, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, fmt.Errorf("reading the last capability: %w", err)
	}
	all := make([]uintptr, 0, last+1)
	for c := 0; c <= last; c++ {
		all = append(all, uintptr(c))
	}
	return all, nil
}

// capabilityNames are those that Kubernetes lets a container ask for; the value
// is that of linux/capability.h.
func capabilityNames() []string {
	return []string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
		"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
		"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
		"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
		"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
	}
}

// giveUpRights leaves this thread what the container may have.
func giveUpRights(spec Container) error {
	if spec.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("forbidding new privileges: %w", err)
		}
	}
	// Before the capabilities go: without one of them a filter needs
	// NoNewPrivileges.
	if spec.FilterSystemCalls {
		if err := filterSystemCalls(); err != nil {
			return err
		}
	}
	all, err := allCapabilities()
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("dropping ambient capabilities: %w", err)
	}
	names := capabilityNames()
	var sets [2]unix.CapUserData
	for _, c := range all {
		if int(c) < len(names) && slices.Contains(spec.Capabilities, names[c]) {
			bit := uint32(1) << (c % 32)
			sets[c/32].Permitted |= bit
			sets[c/32].Effective |= bit
			continue
		}
		// What is not in the bounding set cannot come back, not even by
		// executing a program as user 0.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("dropping capability %d: %w", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("setting capabilities: %w", err)
	}
	return nil
}

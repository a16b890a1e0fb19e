//go:build !linux

package nice

// supported says that threads have no nice values.
const supported = false

func lower() {}

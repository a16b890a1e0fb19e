//go:build !linux

package nice

import "time"

// supported says that threads have no nice values.
const supported = false

func lower() {}

func used() time.Duration { return 0 }

func processUsed() time.Duration { return 0 }

package crd

import (
	"regexp"
	"sync"
	"sync/atomic"
	_ "unsafe" // for go:linkname

	_ "k8s.io/kube-openapi/pkg/validation/validate" // has the variables
)

const (
	// mostCompiled is how many instructions of patterns the library may keep; each takes some 100 bytes.
	mostCompiled = 250_000
	// perPattern is what a pattern counts for beside its instructions. The library copies its list of all patterns for every new one.
	perPattern = 50
)

// The library keeps every pattern that it has ever compiled, and has no function to make it forget them.
var (
	//go:linkname libraryPatterns k8s.io/kube-openapi/pkg/validation/validate.reDict
	libraryPatterns atomic.Value // of map[string]*regexp.Regexp
	//go:linkname libraryLock k8s.io/kube-openapi/pkg/validation/validate.cacheMutex
	libraryLock *sync.Mutex

	compiled atomic.Int64
)

// Compiling says that the library may compile a pattern of so many instructions, now or when an object is validated. When there
// were too many, it forgets all that it has compiled; it compiles those in use again.
func Compiling(instructions int) {
	if compiled.Add(int64(instructions)+perPattern) <= mostCompiled {
		return
	}
	libraryLock.Lock()
	defer libraryLock.Unlock()
	compiled.Store(0)
	libraryPatterns.Store(map[string]*regexp.Regexp{})
}

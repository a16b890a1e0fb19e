package readertest

import "k8s.io/apimachinery/pkg/runtime"

// ours registers the kinds of our own groups.
func ours() []func(*runtime.Scheme) error { return nil }

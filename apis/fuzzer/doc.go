// Package fuzzer fills objects of our API groups with random values that are as they would be after decoding: defaults are
// set, and raw JSON is JSON. For tests, ours and those of whoever builds on the types.
package fuzzer

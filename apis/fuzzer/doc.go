// Package fuzzer fills objects of our API groups with random values that are as they would be after decoding: defaults are
// set, and raw JSON is JSON. It is for our tests, and for tests of
// other projects that use the types.
package fuzzer

package mounts

import (
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for address, want := range map[string]string{
		"https://example.com":                     "https://example.com",
		"https://example.com:6443/clusters/a:b/":  "https://example.com:6443/clusters/a:b",
		"https://[2001:db8::1]/a%2Fb/c":           "https://[2001:db8::1]/a%2Fb/c",
		"https://example.com/...":                 "https://example.com/...",
		"https://example.com/services/x/..y/z..":  "https://example.com/services/x/..y/z..",
		"https://EXAMPLE.com/clusters/root%3Aorg": "https://EXAMPLE.com/clusters/root%3Aorg",
	} {
		if got, err := ParseTarget(address); err != nil || got.String() != want {
			t.Errorf("%s is %v, %v; want %s", address, got, err, want)
		}
	}
	for _, address := range []string{
		"", "example.com", "http://example.com", "//example.com", "https://", "https:///x", "https:example.com", "file:///etc/passwd", "unix:///x",
		"https://user@example.com", "https://user:pass@example.com", "https://example.com?a=b", "https://example.com?", "https://example.com#x", "https://example.com#",
		"https://example.com/..", "https://example.com/a/../b", "https://example.com/a/%2e%2e/b", "https://example.com/a/%2E./b", "https://example.com/./a",
		`https://example.com/a\..\b`, "https://example.com/a%5C..%5Cb", "https://example.com/a%2F..%2Fb", "https://exa mple.com", "https://example.com:port", "https://example.com/\r\nHost: x",
		"https://example.com/" + strings.Repeat("x", 2048),
	} {
		if got, err := ParseTarget(address); err == nil {
			t.Errorf("%q is %v", address, got)
		}
	}
}

package mounts

import (
	"errors"
	"net/url"
	"strings"
)

// maxLength bounds an address, in bytes.
const maxLength = 2048

// The faults of an address. They do not repeat it.
var (
	errLong     = errors.New("the URL is longer than 2048 bytes")
	errInvalid  = errors.New("the URL is invalid")
	errScheme   = errors.New("the URL must begin with https:// and a host")
	errMore     = errors.New("the URL must have no user, query or fragment")
	errSegments = errors.New("the path of the URL must have no segment . or .., and no backslash")
)

// ParseTarget returns the address that requests to a mounted workspace go to, such as https://example.com/clusters/root. The path has no slash at the end.
func ParseTarget(address string) (*url.URL, error) {
	if len(address) > maxLength {
		return nil, errLong
	}
	target, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errInvalid
	case target.Scheme != "https" || target.Hostname() == "" || target.Opaque != "":
		return nil, errScheme
	case target.User != nil || target.RawQuery != "" || target.ForceQuery || target.Fragment != "" || strings.Contains(address, "#"):
		return nil, errMore
	case HasDots(target.Path):
		return nil, errSegments
	}
	target.RawPath = strings.TrimRight(target.EscapedPath(), "/")
	target.Path = strings.TrimRight(target.Path, "/")
	return target, nil
}

// HasDots reports whether an unescaped path has a segment . or .., which a server might resolve, or a backslash, which a server might take for a slash.
func HasDots(path string) bool {
	if strings.Contains(path, `\`) {
		return true
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

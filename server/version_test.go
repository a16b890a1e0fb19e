package server

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/version"
)

// A test binary is linked without flags, like one of `go install`.
func TestVersion_ClientsCanParseItWithoutLinkerFlags(t *testing.T) {
	info := Version()
	parsed, err := version.ParseSemantic(info.GitVersion)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Major() != 1 || parsed.Minor() < 37 || parsed.PreRelease() != "" || parsed.BuildMetadata() != "annex" {
		t.Errorf("the version is %s", info.GitVersion)
	}
}

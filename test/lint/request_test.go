package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Files and folders that a document names, such as `server/serve/serve.go`.
var namedPath = regexp.MustCompile("`((?:registry|server|controllers)/[A-Za-z0-9_./]+)`")

// Whoever walks along the stations of a request must find each of them.
func TestRequest_EveryStationExists(t *testing.T) {
	document, err := os.ReadFile("../../docs/request.md")
	if err != nil {
		t.Fatal(err)
	}
	named := namedPath.FindAllSubmatch(document, -1)
	if len(named) == 0 {
		t.Fatal("docs/request.md names no station")
	}
	for _, match := range named {
		if _, err := os.Stat(filepath.Join("../..", string(match[1]))); err != nil {
			t.Errorf("docs/request.md names %s, which does not exist", match[1])
		}
	}
}

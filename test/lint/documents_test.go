package lint

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest   = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	definedTest = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
)

// A boundary or a feature whose test was renamed or dropped would stand in a document unproven.
func TestDocuments_EveryTestNamedExists(t *testing.T) {
	defined := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "bin") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range definedTest.FindAllSubmatch(source, -1) {
			defined[string(match[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"security.md", "kcp-compatibility.md"} {
		document, err := os.ReadFile(filepath.Join("../../docs", name))
		if err != nil {
			t.Fatal(err)
		}
		named := namedTest.FindAllSubmatch(document, -1)
		if len(named) == 0 {
			t.Errorf("docs/%s names no test", name)
		}
		for _, match := range named {
			if !defined[string(match[1])] {
				t.Errorf("docs/%s names %s, which does not exist", name, match[1])
			}
		}
	}
}

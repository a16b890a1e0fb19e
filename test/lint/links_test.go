package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	anchorMark = regexp.MustCompile(`<a id="([^"]+)"></a>`)
	notInSlug  = regexp.MustCompile(`[^\w\- ]`)
)

// A reader who follows a link arrives at the page and the heading that it names.
func TestDocuments_LinksLeadSomewhere(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "charts/*/*.md", "examples/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	if len(pages) < 10 {
		t.Fatalf("only the pages %v were found", pages)
	}
	for _, page := range pages {
		for _, match := range linkTarget.FindAllStringSubmatch(read(t, page), -1) {
			target := match[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			file := page
			if path != "" {
				file = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", page, target, err)
				continue
			}
			if anchor != "" && filepath.Ext(file) == ".md" && !slices.Contains(anchors(read(t, file)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", page, target)
			}
		}
	}
}

// anchors returns what a link into a page may name: its marks, and its headings in lower case with dashes.
func anchors(page string) []string {
	var found []string
	for _, match := range anchorMark.FindAllStringSubmatch(page, -1) {
		found = append(found, match[1])
	}
	for _, match := range heading.FindAllStringSubmatch(page, -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(match[1])), "")
		found = append(found, strings.ReplaceAll(slug, " ", "-"))
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

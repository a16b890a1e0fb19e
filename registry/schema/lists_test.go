package schema

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/room"
)

// roomFor is the room for one answer. It looks how much memory is in use when it is full.
type roomFor struct {
	most, taken int64
	full        func()
}

func (r *roomFor) Take(bytes int64) error {
	if r.taken > 0 && r.taken+bytes > r.most {
		r.full()
		return &room.TooLargeError{Most: r.most}
	}
	r.taken += bytes
	return nil
}

// Defaults that grow after objects were stored make each of them larger when it is read, so that a page holds fewer of them. A client that
// follows the pages sees them all.
func TestHandlers_ListsOfGrownObjectsEndEarly(t *testing.T) {
	const (
		objects, last, most = 500, 60, 16 << 20
		all, other          = "c1/apis/example.com/v1/widgets", "c1/apis/example.com/v1/namespaces/other/widgets"
	)
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, growingDefinition(t, 0))
	var want []string
	for i := range objects {
		want = append(want, fmt.Sprintf("w%03d", i))
		path := "c1" + widgets
		if i >= objects-last {
			path = other
		}
		s.must(http.StatusCreated, "POST", path, asJSON, widget(want[i], `{"list":`+empty(30)+`}`))
	}
	grown := growingDefinition(t, 100)
	grown.Spec.Versions[0].SelectableFields = nil
	s.serve("c1", catalog.LocalBucket, grown)
	var before, inUse uint64
	measure := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	s.mu.Lock()
	s.room = func() room.Room {
		return &roomFor{most: most, full: func() { inUse = max(inUse, measure()) }}
	}
	s.mu.Unlock()
	before = measure()
	for name, query := range map[string]string{
		"from etcd":       "?limit=500",
		"from the cache":  "?limit=500&resourceVersion=0",
		"with a selector": "?limit=500&labelSelector=" + url.QueryEscape("!no"),
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			pages, path, version := 0, all+query, ""
			for ; ; pages++ {
				list := s.must(http.StatusOK, "GET", path, "", "")
				if rv := fmt.Sprint(at(list, "metadata", "resourceVersion")); version != "" && rv != version {
					t.Errorf("the pages are of the versions %s and %s", version, rv)
				} else {
					version = rv
				}
				for _, item := range list["items"].([]any) {
					item := item.(map[string]any)
					got = append(got, at(item, "metadata", "name").(string))
					if first := at(item, "spec", "list").([]any)[0].(map[string]any); len(first) != 100 {
						t.Fatalf("an item has %d defaults", len(first))
					}
				}
				next, _ := at(list, "metadata", "continue").(string)
				if next == "" {
					break
				}
				query, _, _ := strings.Cut(query, "&resourceVersion")
				path = all + query + "&continue=" + url.QueryEscape(next)
			}
			if pages < 3 || !slices.Equal(got, want) {
				t.Errorf("%d objects on %d pages, want all of %d, each once", len(got), pages+1, objects)
			}
		})
	}
	// An answer is sent one object at a time, and the test keeps one in several forms.
	if grownBy := int64(inUse - before); inUse == 0 || grownBy > 2*most {
		t.Errorf("lists take %d MiB, want at most about %d", grownBy>>20, most>>20)
	} else {
		t.Logf("lists take %d MiB", grownBy>>20)
	}
	// Without pages there is no answer that has all of them.
	got := s.must(http.StatusRequestEntityTooLarge, "GET", all, "", "")
	if message, _ := got["message"].(string); !strings.Contains(message, "takes more than 16 MiB of memory. Read it in pages") || at(got, "details", "causes").([]any)[0].(map[string]any)["field"] != "limit" {
		t.Errorf("without a limit: %v", got)
	}
	// A deletion is of all that the client cannot read at once. If it is asked again, it goes on where it ended.
	deleted := false
	for range 100 * last {
		status, got := s.do("DELETE", other, "", "")
		if deleted = status == http.StatusOK; deleted {
			break
		}
		if status != http.StatusTooManyRequests {
			t.Fatalf("deleting all: %d, %v", status, got)
		}
	}
	if left := s.must(http.StatusOK, "GET", other, "", "")["items"].([]any); !deleted || len(left) != 0 {
		t.Errorf("%d objects are left", len(left))
	}
}

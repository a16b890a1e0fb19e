package schema

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-dev/annex/registry/catalog"
)

// green makes green widgets of so many bytes in cluster c1, and returns the version of the last one.
func (s *server) green(objects, size int) (version string) {
	s.tb.Helper()
	s.serve("c1", catalog.LocalBucket, definition(s.tb, widgetsA))
	text := strings.Repeat("x", size)
	for i := range objects {
		body := fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w%d","annotations":{"text":%q}},"spec":{"color":"green"}}`, i, text)
		version = fmt.Sprint(at(s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, body), "metadata", "resourceVersion"))
	}
	return version
}

const watchGreen = "c1" + widgets + "?watch=true&fieldSelector=spec.color%3Dgreen"

// A watch with a field selector must know which objects its client has, in their last state. It must not keep copies of them.
func TestWatch_FromAVersionSharesItsObjects(t *testing.T) {
	const objects, size, watches = 40, 100_000, 20
	s := newServer(t, nil)
	from := s.green(objects, size)
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("other", `{"color":"green"}`))
	before := heap()
	var all []<-chan string
	for range watches {
		all = append(all, s.watch(watchGreen+"&resourceVersion="+from))
	}
	for _, events := range all {
		s.expect(events, "ADDED other")
	}
	if grown := heap() - before; grown > objects*size*watches/4 {
		t.Errorf("%d watches of %d objects of %d bytes keep %d bytes", watches, objects, size, grown)
	}
	// They know the objects.
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/w0", asMerge, `{"spec":{"color":"red"}}`)
	s.must(http.StatusOK, "DELETE", "c1"+widgets+"/w1", "", "")
	for _, events := range all {
		s.expect(events, "DELETED w0")
		s.expect(events, "DELETED w1")
	}
}

// A client that asks for everything and reads nothing must not make the server keep everything for it.
func TestWatch_WhoseClientDoesNotReadKeepsNoObjects(t *testing.T) {
	s := newServer(t, nil)
	const objects, size, watches = 400, 40_000, 10
	s.green(objects, size)
	before := heap()
	for range watches {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/clusters/"+watchGreen, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	if grown := heap() - before; grown > objects*size*watches/8 {
		t.Errorf("%d watches of %d objects of %d bytes keep %d bytes", watches, objects, size, grown)
	}
}

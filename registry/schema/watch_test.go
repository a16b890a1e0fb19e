package schema

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"

	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"

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
	if grown := heap() - before; grown > objects*size*watches/4 {
		t.Errorf("%d watches of %d objects of %d bytes keep %d bytes", watches, objects, size, grown)
	}
}

// countingOptions give storages whose codecs count what they decode.
type countingOptions struct {
	generic.RESTOptionsGetter
	decoded *atomic.Int64
}

func (o countingOptions) GetRESTOptions(resource schema.GroupResource, example apiruntime.Object) (generic.RESTOptions, error) {
	options, err := o.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err == nil {
		options.StorageConfig.Codec = countingCodec{options.StorageConfig.Codec, o.decoded}
	}
	return options, err
}

type countingCodec struct {
	apiruntime.Codec
	decoded *atomic.Int64
}

func (c countingCodec) Decode(data []byte, defaults *schema.GroupVersionKind, into apiruntime.Object) (apiruntime.Object, *schema.GroupVersionKind, error) {
	c.decoded.Add(1)
	return c.Codec.Decode(data, defaults, into)
}

// However many watches there are, a write is decoded once for all of them, also for those that must look into the object.
func TestWatch_ManyWatchesDecodeOnce(t *testing.T) {
	const watches = 30
	var decoded atomic.Int64
	s := newServer(t, func(c *Config) { c.RESTOptionsGetter = countingOptions{c.RESTOptionsGetter, &decoded} })
	from := s.green(1, 10)
	var all, selecting []<-chan string
	for range watches {
		all = append(all, s.watch("c1"+widgets+"?watch=true&resourceVersion="+from))
		selecting = append(selecting, s.watch(watchGreen+"&resourceVersion="+from))
	}
	// What is decoded is shared while some watch has it: see that nobody is too late.
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, step := range []struct{ change, all, selecting string }{
		{`{"spec":{"color":"green","replicas":2}}`, "MODIFIED w0", "MODIFIED w0"},
		{`{"spec":{"color":"red"}}`, "MODIFIED w0", "DELETED w0"},
		{`{"spec":{"color":"green"}}`, "MODIFIED w0", "ADDED w0"},
	} {
		before := decoded.Load()
		s.must(http.StatusOK, "PATCH", "c1"+widgets+"/w0", asMerge, step.change)
		for i := range watches {
			s.expect(all[i], step.all)
			s.expect(selecting[i], step.selecting)
		}
		if n := decoded.Load() - before; n > 8 {
			t.Errorf("%s: decoded %d times for %d watches", step.change, n, 2*watches)
		} else {
			t.Logf("%s: decoded %d times", step.change, n)
		}
	}
}

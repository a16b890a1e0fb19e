package schema

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/annex-dev/annex/registry/catalog"
)

// meeting notes how many handlers are being built at the same time. It holds each of them for a moment, unless they meet.
type meeting struct {
	generic.RESTOptionsGetter
	mu           sync.Mutex
	active, most int
	builds       map[string]int // by resource
	met          chan struct{}
}

func (m *meeting) GetRESTOptions(gr schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	m.mu.Lock()
	m.active++
	m.builds[gr.Resource]++
	if m.active == 2 && m.most < 2 {
		close(m.met)
	}
	m.most = max(m.most, m.active)
	m.mu.Unlock()
	select {
	case <-m.met:
	case <-time.After(time.Second):
	}
	m.mu.Lock()
	m.active--
	m.mu.Unlock()
	return m.RESTOptionsGetter.GetRESTOptions(gr, example)
}

func TestHandlers_LargeOnesAreBuiltOneAtATime(t *testing.T) {
	m := &meeting{builds: map[string]int{}, met: make(chan struct{})}
	s := newServer(t, func(c *Config) {
		m.RESTOptionsGetter = c.RESTOptionsGetter
		c.RESTOptionsGetter = m
	})
	const kinds = 3
	for i := range kinds {
		crd := definition(t, widgetsB)
		crd.Spec.Names.Plural = fmt.Sprintf("large%ds", i)
		crd.Name = crd.Spec.Names.Plural + "." + crd.Spec.Group
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"] = apiextensionsv1.JSONSchemaProps{Type: "object", Properties: flat(500, strings.Repeat("x", 100))}
		s.serve(fmt.Sprintf("c%d", i), catalog.LocalBucket, crd)
	}
	var all sync.WaitGroup
	for i := range 2 * kinds {
		all.Go(func() {
			path := fmt.Sprintf("c%d/apis/example.com/v1/namespaces/default/large%ds", i%kinds, i%kinds)
			if status, out := s.do("GET", path, "", ""); status != http.StatusOK {
				t.Errorf("%s: %d %v", path, status, out)
			}
		})
	}
	all.Wait()
	if m.most != 1 || len(m.builds) != kinds {
		t.Errorf("%d of %d handlers were built at the same time", m.most, len(m.builds))
	}
	for resource, n := range m.builds {
		if n != 1 {
			t.Errorf("the handler of %s was built %d times", resource, n)
		}
	}
}

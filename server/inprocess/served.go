package inprocess

import (
	"runtime"
	"sync"
	"weak"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/client"
)

// served remembers what the definitions that storage shares are converted to: all readers get the same object. It holds on to that for as
// long as storage, or anybody else, holds on to the definition; its bytes are counted there.
type served struct {
	mu    sync.Mutex
	known map[anchor]*conversion
}

// anchor identifies a decoded definition: whoever gets a copy of its outermost fields has the versions of the original.
type anchor = weak.Pointer[apiextensions.CustomResourceDefinitionVersion]

type conversion struct {
	once sync.Once
	obj  client.Object
	err  error
}

// of returns what convert makes of obj.
func (s *served) of(obj apiruntime.Object, convert func(apiruntime.Object) (client.Object, error)) (client.Object, error) {
	definition, ok := obj.(*apiextensions.CustomResourceDefinition)
	if !ok || len(definition.Spec.Versions) == 0 {
		return convert(obj)
	}
	versions := &definition.Spec.Versions[0]
	c := s.conversion(versions)
	c.once.Do(func() { c.obj, c.err = convert(obj) })
	runtime.KeepAlive(versions)
	if c.err != nil || c.obj.GetResourceVersion() != definition.ResourceVersion {
		return convert(obj) // somebody has changed the outermost fields
	}
	return c.obj, nil
}

func (s *served) conversion(versions *apiextensions.CustomResourceDefinitionVersion) *conversion {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := weak.Make(versions)
	if known := s.known[at]; known != nil {
		return known
	}
	if s.known == nil {
		s.known = map[anchor]*conversion{}
	}
	c := &conversion{}
	s.known[at] = c
	runtime.AddCleanup(versions, func(at anchor) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.known, at)
	}, at)
	return c
}

package inprocess

import (
	"fmt"
	"runtime"
	"sync"
	"weak"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/held"
	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/crd"
)

// sharedNodes is how many nodes the schemas of a definition have at least that are shared, as storage shares them (registry/storage/definitions).
const sharedNodes = 250

// served remembers what the definitions that storage shares are converted to: all readers get the same object. It holds on to that for as
// long as storage, or anybody else, holds on to the definition; its bytes are counted there.
type served struct {
	mu    sync.Mutex
	known map[anchor]*conversion
	// schemas remembers what the large schemas are converted to that definitions share, such as those of one definition before and after a change
	// of its status.
	schemas held.Map[weak.Pointer[apiextensions.CustomResourceValidation], apiextensionsv1.CustomResourceValidation]
	// given finds the objects by what is theirs alone.
	given map[weak.Pointer[apiextensionsv1.CustomResourceDefinitionVersion]]*apiextensionsv1.CustomResourceDefinition
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
	c.once.Do(func() {
		nodes := crd.Nodes(definition)
		room.Large(room.NodeBytes*nodes, func() {
			if nodes < sharedNodes {
				c.obj, c.err = convert(obj)
			} else {
				c.obj, c.err = s.withSharedSchemas(definition, convert)
			}
		})
		s.give(versions, c.obj)
	})
	if c.err != nil || c.obj.GetResourceVersion() != definition.ResourceVersion {
		return convert(obj) // somebody has changed the outermost fields
	}
	return c.obj, nil
}

// withSharedSchemas is convert, but converts no schema that another definition shares and that was converted for it.
func (s *served) withSharedSchemas(definition *apiextensions.CustomResourceDefinition, convert func(apiruntime.Object) (client.Object, error)) (client.Object, error) {
	obj, err := convert(withoutSchemas(definition))
	if err != nil {
		return nil, err
	}
	made := obj.(*apiextensionsv1.CustomResourceDefinition)
	for i := range made.Spec.Versions {
		stored := definition.Spec.Versions[i].Schema
		if definition.Spec.Validation != nil {
			stored = definition.Spec.Validation // of all versions
		}
		if made.Spec.Versions[i].Schema, err = s.schema(stored); err != nil {
			return nil, fmt.Errorf("converting the schema of version %s: %w", made.Spec.Versions[i].Name, err)
		}
	}
	return made, nil
}

// schema converts a schema, once for all that hold it.
func (s *served) schema(stored *apiextensions.CustomResourceValidation) (*apiextensionsv1.CustomResourceValidation, error) {
	if stored == nil {
		return nil, nil //nolint:nilnil // a version may have no schema
	}
	at := weak.Make(stored)
	if known := s.schemas.Get(at); known != nil {
		return known, nil
	}
	made := &apiextensionsv1.CustomResourceValidation{}
	if err := apiextensionsv1.Convert_apiextensions_CustomResourceValidation_To_v1_CustomResourceValidation(stored, made, nil); err != nil {
		return nil, err
	}
	s.schemas.Put(at, made)
	return made, nil
}

// give remembers that readers get obj, until versions is no longer in use.
func (s *served) give(versions *apiextensions.CustomResourceDefinitionVersion, obj client.Object) {
	definition, ok := obj.(*apiextensionsv1.CustomResourceDefinition)
	if !ok || len(definition.Spec.Versions) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := weak.Make(&definition.Spec.Versions[0])
	if s.given == nil {
		s.given = map[weak.Pointer[apiextensionsv1.CustomResourceDefinitionVersion]]*apiextensionsv1.CustomResourceDefinition{}
	}
	s.given[at] = definition
	runtime.AddCleanup(versions, func(weak.Pointer[apiextensionsv1.CustomResourceDefinitionVersion]) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.given, at)
	}, at)
}

// keepsSpec reports whether obj is a definition whose spec is the very one that readers got at its resourceVersion.
func (s *served) keepsSpec(obj client.Object) bool {
	definition, ok := obj.(*apiextensionsv1.CustomResourceDefinition)
	if !ok || len(definition.Spec.Versions) == 0 || definition.ResourceVersion == "" {
		return false
	}
	s.mu.Lock()
	given := s.given[weak.Make(&definition.Spec.Versions[0])]
	s.mu.Unlock()
	return given != nil && given.UID == definition.UID && given.ResourceVersion == definition.ResourceVersion &&
		len(given.Spec.Versions) == len(definition.Spec.Versions) &&
		apiequality.Semantic.DeepEqual(given.Spec, definition.Spec) // does not look into the versions, which are the same
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

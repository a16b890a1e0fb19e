package definitions

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/crd"
)

const (
	// least is how many bytes a spec has at least that is remembered: the others are decoded in less time than it takes to find them.
	least = 250 * room.NodeBytes
	// nodeBytes is about what a node of a schema takes decoded.
	nodeBytes = 640
)

// id identifies a spec by its bytes.
type id [sha256.Size]byte

func identify(spec []byte) id { return sha256.Sum256(spec) }

// Specs remembers the specs that were used last. It is safe for concurrent use.
type Specs struct {
	specs *lru.Cache[id, *spec]

	mu sync.Mutex
	// of finds them by a schema in them.
	of map[*apiextensions.CustomResourceValidation]*spec
}

// spec is what bytes are decoded to.
type spec struct {
	bytes   []byte
	decoded apiextensions.CustomResourceDefinitionSpec // its versions are in a slice of its own
}

// NewSpecs returns Specs that take as many bytes.
func NewSpecs(limit int64) *Specs {
	s := &Specs{of: map[*apiextensions.CustomResourceValidation]*spec{}}
	s.specs = lru.New[id](limit, s.forget)
	return s
}

// Bytes returns about how many bytes they take, and how many they may take.
func (s *Specs) Bytes() (bytes, limit int64) { return s.specs.Bytes() }

// DropIdle forgets the specs that nobody has used since the call before.
func (s *Specs) DropIdle() { s.specs.DropIdle() }

func (s *Specs) get(of id) (*spec, bool) { return s.specs.Get(of) }

// put remembers the spec of a definition that was decoded from data.
func (s *Specs) put(of id, data []byte, definition *apiextensions.CustomResourceDefinition) {
	known := &spec{bytes: data, decoded: definition.Spec}
	known.decoded.Versions = slices.Clone(definition.Spec.Versions)
	if at := schemaIn(&known.decoded); at != nil {
		s.mu.Lock()
		s.of[at] = known
		s.mu.Unlock()
	}
	// Several workspaces share one, so it belongs to none of them.
	s.specs.Put(of, known, int64(len(data)+nodeBytes*crd.Nodes(definition)), hex.EncodeToString(of[:]))
}

// forget is called with a spec that is no longer remembered.
func (s *Specs) forget(gone *spec) {
	at := schemaIn(&gone.decoded)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[at] == gone {
		delete(s.of, at)
	}
}

// bytes returns what a spec was decoded from; nil if it was changed since, or is not remembered.
func (s *Specs) bytes(of *apiextensions.CustomResourceDefinitionSpec) []byte {
	at := schemaIn(of)
	if at == nil {
		return nil
	}
	s.mu.Lock()
	known := s.of[at]
	s.mu.Unlock()
	// Schemas that are the same are not looked into: nobody may change one.
	if known == nil || !apiequality.Semantic.DeepEqual(known.decoded, *of) {
		return nil
	}
	return known.bytes
}

// giveTo makes it the spec of a definition. Each has a slice of versions of its own, by which others tell definitions apart.
func (s *spec) giveTo(definition *apiextensions.CustomResourceDefinition) {
	definition.Spec = s.decoded
	definition.Spec.Versions = slices.Clone(s.decoded.Versions)
}

// schemaIn returns the first schema of a spec; nil if it has none.
func schemaIn(spec *apiextensions.CustomResourceDefinitionSpec) *apiextensions.CustomResourceValidation {
	if spec.Validation != nil {
		return spec.Validation
	}
	for i := range spec.Versions {
		if spec.Versions[i].Schema != nil {
			return spec.Versions[i].Schema
		}
	}
	return nil
}

package clientset

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/generated/clientset/versioned"
	"github.com/annex-dev/annex/generated/clientset/versioned/fake"
)

// NewFake returns fakes of Annex's own kinds; see [FakesOf].
func NewFake(objects ...runtime.Object) (*Fakes[versioned.Interface], error) {
	return FakesOf(func(objects ...runtime.Object) versioned.Interface { return fake.NewSimpleClientset(objects...) }, objects...)
}

// Fakes has a fake clientset for each cluster, for tests. Objects with equal names in two clusters do not meet.
type Fakes[C any] struct {
	newFake func(objects ...runtime.Object) C

	mu     sync.Mutex
	byPath map[logicalcluster.Path]C
}

var _ Clusters[versioned.Interface] = &Fakes[versioned.Interface]{}

// FakesOf returns fakes that newFake makes, which is NewSimpleClientset of a generated package fake. The annotation kcp.io/cluster of each object says
// which cluster it is in; it is an error if it has none. A fake knows no other path of a cluster than what the annotation says.
func FakesOf[C any](newFake func(objects ...runtime.Object) C, objects ...runtime.Object) (*Fakes[C], error) {
	f := &Fakes[C]{newFake: newFake, byPath: map[logicalcluster.Path]C{}}
	in := map[logicalcluster.Path][]runtime.Object{}
	for _, obj := range objects {
		accessor, err := meta.Accessor(obj)
		if err != nil {
			return nil, fmt.Errorf("adding a %T to a fake: %w", obj, err)
		}
		path := logicalcluster.Path(logicalcluster.From(accessor))
		if err := check(path); err != nil {
			return nil, fmt.Errorf("adding %q to a fake: its annotation %s: %w", accessor.GetName(), logicalcluster.AnnotationKey, err)
		}
		in[path] = append(in[path], obj)
	}
	for path, objects := range in {
		f.byPath[path] = newFake(objects...)
	}
	return f, nil
}

// Cluster implements Clusters. It returns the same fake each time.
func (f *Fakes[C]) Cluster(path logicalcluster.Path) C {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.byPath[path]
	if !ok {
		known = f.newFake()
		f.byPath[path] = known
	}
	return known
}

package watchcache

import (
	"hash/fnv"
	"strings"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Clusters knows in which clusters objects were met. It has a bit for each cluster. Clusters may share a bit, and bits are never
// cleared. So what thousands of clusters use may be read for a cluster that has nothing there, which costs one seek. The zero
// value is empty. It is safe for many goroutines.
type Clusters [clusterBits / 64]atomic.Uint64

// clusterBits is the size of Clusters. What ten clusters use is read for one in four hundred other clusters.
const clusterBits = 4096

// Add notes that cluster has an object.
func (c *Clusters) Add(cluster string) {
	if word, mask := bit(cluster); c[word].Load()&mask == 0 {
		c[word].Or(mask)
	}
}

// Has reports whether cluster may have objects; true if it is empty, which stands for any.
func (c *Clusters) Has(cluster logicalcluster.Name) bool {
	word, mask := bit(cluster.String())
	return cluster.Empty() || c[word].Load()&mask != 0
}

// attrs returns the attributes of a source such that the cluster of each object is noted: the cacher asks for those of all that
// it takes in. The value of the trigger index ends with the cluster.
func (c *Clusters) attrs(of Source) apistorage.AttrFunc {
	return func(obj runtime.Object) (labels.Set, fields.Set, error) {
		place := of.Trigger(obj)
		c.Add(place[strings.LastIndexByte(place, '/')+1:])
		return of.GetAttrs(obj)
	}
}

// bit returns where in Clusters a cluster is: the word and the bit in it.
func bit(cluster string) (word int, mask uint64) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(cluster)) // never fails
	at := int(h.Sum32() % clusterBits)
	return at / 64, 1 << (at % 64)
}

package watchcache

import (
	"hash/fnv"
	"sync/atomic"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Clusters knows in which clusters objects were met. It has a bit for each cluster. Clusters may share a bit, and bits are
// never cleared. So what thousands of clusters use may be read for a cluster that has nothing there, which costs one seek.
type Clusters [clusterBits / 64]atomic.Uint64

// clusterBits is the size of a Clusters. What ten clusters use is read for one in four hundred other clusters.
const clusterBits = 4096

// Add notes that cluster has an object.
func (s *Clusters) Add(cluster string) {
	if word, mask := bit(cluster); s[word].Load()&mask == 0 {
		s[word].Or(mask)
	}
}

// Has reports whether cluster may have objects; true if it is empty, which stands for any.
func (s *Clusters) Has(cluster logicalcluster.Name) bool {
	word, mask := bit(cluster.String())
	return cluster.Empty() || s[word].Load()&mask != 0
}

// bit returns where in a Clusters a cluster is: the word and the bit in it.
func bit(cluster string) (word int, mask uint64) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(cluster)) // never fails
	at := int(h.Sum32() % clusterBits)
	return at / 64, 1 << (at % 64)
}

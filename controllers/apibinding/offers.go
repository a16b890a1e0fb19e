package apibinding

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"sync"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// exportsSeen holds a hash of what bindings see of each export. The status of an export changes whenever its consumers do: if each such change
// reconciled all consumers, the work would grow with the square of their number.
type exportsSeen struct {
	mu   sync.Mutex
	seen map[client.Key][sha256.Size]byte
}

// forget forgets all exports: some may have gone unseen.
func (o *exportsSeen) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = nil
}

// offersAnew reports whether an event of the export called key may concern bindings.
func (c *Controller) offersAnew(key client.Key, event client.Event) bool {
	export, ok := event.Object.(*apisv1alpha2.APIExport)
	if !ok {
		return true
	}
	c.exportsSeen.mu.Lock()
	defer c.exportsSeen.mu.Unlock()
	if event.Type == client.Deleted {
		delete(c.exportsSeen.seen, key)
		return true
	}
	now, err := offerOf(export)
	if err != nil {
		return true
	}
	before, known := c.exportsSeen.seen[key]
	if c.exportsSeen.seen == nil {
		c.exportsSeen.seen = map[client.Key][sha256.Size]byte{}
	}
	c.exportsSeen.seen[key] = now
	return event.Type != client.Modified || !known || before != now
}

// offerOf returns a hash of all that bind reads of export.
func offerOf(export *apisv1alpha2.APIExport) ([sha256.Size]byte, error) {
	seen := struct {
		UID      string
		Spec     apisv1alpha2.APIExportSpec
		Identity string
		Extra    map[string]string
		Virtual  []string
	}{string(export.UID), export.Spec, export.Status.IdentityHash, map[string]string{}, nil}
	if c := conditionsv1alpha1.Get(export, apisv1alpha2.VirtualStorageReady); c != nil {
		seen.Virtual = []string{string(c.Status), c.Reason, c.Message}
	}
	for key, value := range export.Annotations {
		if strings.HasPrefix(key, apisv1alpha2.ExtraAnnotationPrefix) {
			seen.Extra[key] = value
		}
	}
	encoded, err := json.Marshal(seen)
	return sha256.Sum256(encoded), err
}

package catalog

import (
	"context"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// established is a stored definition that is served.
type established struct {
	uid         types.UID
	terminating bool
	definition  *apiextensionsv1.CustomResourceDefinition // what it stands for in a Resource
}

// version is one state of a stored definition.
type version struct{ uid, resourceVersion string }

// remembered is what is known of a version.
type remembered struct {
	hash        string
	terminating bool
}

// hashBytes is what is remembered of a version, with its place in the cache.
const hashBytes = 512

// established returns the definitions of cluster that are served. One change in a cluster changes only one of its definitions: the others,
// which may be large, are neither decoded nor hashed again, as long as somebody holds what they stand for.
func (c *Catalog) established(ctx context.Context, from client.Reader, cluster logicalcluster.Name) ([]established, error) {
	var found []established
	add := func(crd *apiextensionsv1.CustomResourceDefinition) error {
		if crd == nil || crd.Status.AcceptedNames.Plural == "" || !apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established) {
			return nil
		}
		e, err := c.stored(crd, cluster)
		found = append(found, e)
		return err
	}
	if c.heads == nil {
		crds, err := client.List[apiextensionsv1.CustomResourceDefinition](ctx, from, definitionsResource, client.Scope{Cluster: cluster})
		for i := 0; i < len(crds) && err == nil; i++ {
			err = add(crds[i])
		}
		return found, err
	}
	heads, err := c.heads(ctx, cluster)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		if e, ok := c.recall(version{string(h.UID), h.ResourceVersion}); ok {
			found = append(found, e)
			continue
		}
		crd, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, from, definitionsResource, client.Key{Cluster: cluster, Name: h.Name})
		if err == nil {
			err = add(crd)
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// recall returns what a version stands for; false if that is not known, or nobody holds it any more.
func (c *Catalog) recall(key version) (established, bool) {
	known, ok := c.hashes.Get(key)
	if !ok {
		return established{}, false
	}
	definition := c.definitions.Get(known.hash)
	return established{types.UID(key.uid), known.terminating, definition}, definition != nil
}

// stored returns what crd stands for, as it is stored. Hashing a large schema takes milliseconds, and thousands of clusters bind the same
// one. So the hashes of versions are remembered, for owner.
func (c *Catalog) stored(crd *apiextensionsv1.CustomResourceDefinition, owner logicalcluster.Name) (established, error) {
	key := version{string(crd.UID), crd.ResourceVersion}
	if e, ok := c.recall(key); ok {
		return e, nil
	}
	definition, err := c.Definition(crd)
	if err != nil {
		return established{}, err
	}
	terminating := crd.DeletionTimestamp != nil || apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Terminating)
	if key.uid != "" && key.resourceVersion != "" {
		c.hashes.Put(key, remembered{string(definition.UID), terminating}, hashBytes, owner.String())
	}
	return established{crd.UID, terminating, definition}, nil
}

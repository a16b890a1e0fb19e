package discovery

import (
	"fmt"
	"net/http"

	"golang.org/x/sync/singleflight"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/server/discovery/openapi"
)

const (
	// defaultCapacity is for a cache of a Discovery alone.
	defaultCapacity = 64 << 20
	// What groups take: in all, and for each resource and subresource, in both forms of discovery.
	groupsBytes   = 8 << 10
	resourceBytes = 2 << 10
	// openAPI2Factor is how much more the stock handler of a v2 document takes than its JSON: it keeps it in three forms.
	openAPI2Factor = 8
)

// Cache keeps documents, bounded in bytes, for all that it is given to. It is safe for concurrent use.
type Cache struct {
	kept *lru.Cache[cacheKey, any]
	// building makes those that want the same document at the same time wait for one.
	building singleflight.Group
}

// cacheKey names a document.
type cacheKey struct {
	kind string
	// in is nil for documents that are the same wherever they are asked for.
	in   *Discovery
	name string
}

// NewCache returns a cache of so many bytes; 0 stands for 64 MiB.
func NewCache(capacity int64) *Cache {
	if capacity == 0 {
		capacity = defaultCapacity
	}
	return &Cache{kept: lru.New[cacheKey, any](capacity, nil)}
}

// Bytes returns about how many bytes are kept, and how many may be.
func (c *Cache) Bytes() (bytes, limit int64) { return c.kept.Bytes() }

// Forget drops the documents that are kept for cluster.
func (c *Cache) Forget(cluster logicalcluster.Name) { c.kept.Drop(cluster.String()) }

// get returns the document called key, which is built when it is not kept, and then kept for owner.
func (c *Cache) get(key cacheKey, owner string, build func() (document any, bytes int64, err error)) (any, error) {
	if known, ok := c.kept.Get(key); ok {
		return known, nil
	}
	document, err, _ := c.building.Do(fmt.Sprintf("%s %p %s", key.kind, key.in, key.name), func() (any, error) {
		if known, ok := c.kept.Get(key); ok {
			return known, nil
		}
		document, bytes, err := build()
		if err == nil {
			c.kept.Put(key, document, bytes, owner)
		}
		return document, err
	})
	return document, err
}

func (c *Cache) groups(d *Discovery, key setKey, owner string, build func() *groups) *groups {
	document, _ := c.get(cacheKey{"groups", d, key.String()}, owner, func() (any, int64, error) {
		built := build()
		bytes := int64(groupsBytes)
		for _, g := range built.list {
			for _, v := range g.versions {
				bytes += int64(resourceBytes * len(v.resources))
			}
		}
		return built, bytes, nil
	})
	return document.(*groups)
}

func (c *Cache) openAPI2(d *Discovery, key setKey, owner string, build func() (http.Handler, int64, error)) (http.Handler, error) {
	document, err := c.get(cacheKey{"v2", d, key.String()}, owner, func() (any, int64, error) { return build() })
	if err != nil {
		return nil, err
	}
	return document.(http.Handler), nil
}

// part3 returns what a resource adds to documents of OpenAPI v3. Its name says all that it depends on.
func (c *Cache) part3(name, owner string, build func() (*openapi.Part, error)) (*openapi.Part, error) {
	part, err := c.get(cacheKey{kind: "v3 part", name: name}, owner, func() (any, int64, error) {
		part, err := build()
		if err != nil {
			return nil, 0, err
		}
		return part, part.Bytes(), nil
	})
	if err != nil {
		return nil, err
	}
	return part.(*openapi.Part), nil
}

// protobuf3 returns the protobuf of a document of OpenAPI v3, or of a part, by its hash.
func (c *Cache) protobuf3(hash, owner string, convert func() (string, error)) (string, error) {
	message, err := c.get(cacheKey{kind: "v3 protobuf", name: hash}, owner, func() (any, int64, error) {
		message, err := convert()
		return message, int64(len(message)), err
	})
	if err != nil {
		return "", err
	}
	return message.(string), nil
}

package rendered

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// templateKey returns the key of a template. It is no key of an object.
func (c *Client) templateKey(name string) string { return c.prefix + TemplateRoot + name }

// TemplateRoot is what the keys of templates begin with.
const TemplateRoot = "/annex.dev/templates/"

// damageError says that what is stored cannot be used, now or later.
type damageError struct{ error }

// Unwrap returns the error itself.
func (e damageError) Unwrap() error { return e.error }

// template reads a template that is stored.
func (c *Client) template(ctx context.Context, name string) (*Template, error) {
	return c.templateAt(ctx, name, 0)
}

// templateAt reads a template that is stored, or was in a revision, when something was made from it.
func (c *Client) templateAt(ctx context.Context, name string, revision int64) (*Template, error) {
	if t, ok := c.templates.Get(name); ok {
		return t, nil
	}
	resp, err := c.kv.Get(ctx, c.templateKey(name))
	if err == nil && len(resp.Kvs) == 0 && revision != 0 {
		if resp, err = c.kv.Get(ctx, c.templateKey(name), clientv3.WithRev(revision)); errors.Is(err, rpctypes.ErrCompacted) {
			err = damageError{err}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading template %s: %w", name, err)
	}
	if len(resp.Kvs) == 0 {
		return nil, damageError{fmt.Errorf("template %q is not stored", name)}
	}
	t, err := decodeTemplate(name, resp.Kvs[0].Value)
	if err != nil {
		return nil, damageError{err}
	}
	c.templates.Put(name, t, int64(2*len(resp.Kvs[0].Value)), name)
	return t, nil
}

// Amount returns how much is in a cluster that is made so.
func (c *Client) Amount(ctx context.Context, cluster logicalcluster.Name, made Made) (sum limits.Amount, err error) {
	t, err := c.template(ctx, made.Template)
	if err != nil {
		return sum, err
	}
	for i := range t.Objects {
		body := t.Objects[i].render(values{cluster: cluster, values: made.Values})
		sum = sum.Plus(limits.Amount{Objects: 1, Bytes: int64(len(body))})
	}
	return sum, nil
}

// PutTemplate stores t, unless it is stored already, and returns its name.
func (c *Client) PutTemplate(ctx context.Context, t *Template) (string, error) {
	name, data, err := t.Encode()
	if err != nil {
		return "", err
	}
	for i := range t.Objects {
		if gr := t.Objects[i].GroupResource(); !c.resources[gr] {
			return "", fmt.Errorf("templates cannot have objects of %s", gr)
		}
	}
	if _, ok := c.templates.Get(name); ok {
		return name, nil
	}
	key := c.templateKey(name)
	if _, err := c.kv.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).Then(clientv3.OpPut(key, string(data))).Commit(); err != nil {
		return "", fmt.Errorf("storing template %s: %w", name, err)
	}
	_, err = c.template(ctx, name)
	return name, err
}

package owners

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/annex-dev/annex/registry/storage/layout"
)

// parts is into how many parts the room that quotas leave is divided: so many objects of a resource may be created and deleted in a
// namespace at the same time.
const parts = 16

// spread is how much room a part must have so that half of it is given to another one for which somebody waits.
const spread = 2 * parts

// roomPrefix begins the names of keys of room.
const roomPrefix = "room:"

// UsedKeys returns the keys of the room that quotas leave for objects of what k is of, in the namespace of k or, if it has none, in the whole
// cluster. The first one is stored if the objects have been counted, the others if they have been needed.
func UsedKeys(k layout.Key) [parts]layout.Key {
	name := roomPrefix + k.Resource.String() + ":"
	if k.Custom {
		name = roomPrefix + k.Bucket + ":" + k.Resource.String() + ":"
	}
	var all [parts]layout.Key
	for i := range all {
		all[i] = layout.Key{Resource: Quotas, Cluster: k.Cluster, Namespace: k.Namespace, Name: name + strconv.Itoa(i)}
	}
	return all
}

// used is what this process knows of the room for objects of a resource in a namespace. A creation takes one of a part, a deletion
// gives one to a part. While more is used than the quotas allow, the first part is less than nothing, and the others are empty: a
// transaction that makes it so writes all of them.
type used struct {
	keys  [parts]string // as they are in etcd
	first int           // part that this process prefers; others prefer others

	mu       sync.Mutex
	looked   bool // whether parts are what was in etcd at some time
	parts    [parts]part
	waiting  int
	released chan struct{} // closed when a part is released
}

// part is one part. Whoever has taken it may use it: transactions with the same part would only fail because of each other.
type part struct {
	room
	revision int64 // of its key; 0 if it is not there
	taken    bool
}

// room is what is stored of a part.
type room struct {
	// Hard is the revision of what the quotas limit. If they limited something else, the part is empty, or for the first one: the objects
	// have to be counted.
	Hard int64 `json:"hard"`
	Room int64 `json:"room"`
}

func (r room) encode() string {
	data, _ := json.Marshal(r) // never fails
	return string(data)
}

// of returns what is known of the room for objects of what k is of.
func (h *hard) of(c *Client, k layout.Key) *used {
	k.Name = ""
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.used[k]
	if u == nil {
		u = &used{first: rand.IntN(parts), released: make(chan struct{})}
		for i, key := range UsedKeys(k) {
			u.keys[i] = c.path(key)
		}
		h.used[k] = u
	}
	return u
}

// gets returns operations that read all parts.
func (u *used) gets() []clientv3.Op {
	ops := make([]clientv3.Op, parts)
	for i, key := range u.keys {
		ops[i] = clientv3.OpGet(key)
	}
	return ops
}

// take waits for a part of which one can be taken, or to which one can be given, and takes it. It takes another part in addition if others
// wait and that one has little room; none is negative. It returns no part if, as far as is known, the objects have to be counted, or there
// is no room.
func (u *used) take(ctx context.Context, hard int64, creates bool) (taken, another int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for u.looked && u.parts[0].Hard == hard {
		taken, wait := u.pick(hard, creates)
		if taken >= 0 {
			u.parts[taken].taken = true
			return taken, u.pickAnother(hard, taken, creates), nil
		}
		if !wait {
			break
		}
		released := u.released
		u.waiting++
		u.mu.Unlock()
		select {
		case <-released:
		case <-ctx.Done():
			err = ctx.Err()
		}
		u.mu.Lock()
		if u.waiting--; err != nil {
			return -1, -1, err
		}
	}
	return -1, -1, nil
}

func (p *part) left(hard int64) int64 {
	if p.Hard != hard {
		return 0
	}
	return p.Room
}

// pick returns a part that is not taken and will do; negative if there is none. Then one may have to wait for one that is taken.
func (u *used) pick(hard int64, creates bool) (picked int, wait bool) {
	picked = -1
	owing := u.parts[0].left(hard) < 0
	for j := range parts {
		i := (u.first + j) % parts
		p := &u.parts[i]
		switch {
		case p.taken:
			wait = true
		case owing && i > 0, creates && p.left(hard) < 1:
		case p.Hard == hard:
			return i, false
		default: // it is used if those in use are taken
			picked = i
		}
	}
	return picked, wait
}

// pickAnother returns a part to which a part that is taken gives half of its room; negative for none.
func (u *used) pickAnother(hard int64, from int, creates bool) int {
	has := u.parts[from].left(hard)
	if !creates || u.waiting == 0 || has < spread {
		return -1
	}
	for i := range u.parts {
		if p := &u.parts[i]; i != from && !p.taken && p.left(hard) < has/4 {
			p.taken = true
			return i
		}
	}
	return -1
}

// release gives parts back.
func (u *used) release(all ...int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, i := range all {
		if i >= 0 {
			u.parts[i].taken = false
		}
	}
	close(u.released)
	u.released = make(chan struct{})
}

// set sets a part to what has been stored in a revision.
func (u *used) set(i int, revision int64, value room) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[i].revision, u.parts[i].room = revision, value
}

// forget has all parts read again.
func (u *used) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.looked = false
}

// read returns all parts as they have been read, and keeps them; those that are taken only if they are own.
func (u *used) read(reads []*etcdserverpb.ResponseOp, own ...int) [parts]part {
	var all [parts]part
	for i := range all {
		for _, kv := range reads[i].GetResponseRange().Kvs {
			all[i].revision = kv.ModRevision
			if err := json.Unmarshal(kv.Value, &all[i].room); err != nil {
				all[i].room = room{} // the objects are counted again
			}
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.looked = true
	for i, p := range all {
		if p.taken = u.parts[i].taken; !p.taken {
			u.parts[i] = p
		}
	}
	for _, i := range own {
		if i >= 0 {
			u.parts[i].revision, u.parts[i].room = all[i].revision, all[i].room
		}
	}
	return all
}

// look reads from etcd how much room there is for objects of what k is of. It is false if the quotas do not limit what h says, so that u is
// of no use.
func (c *Client) look(ctx context.Context, h *hard, u *used, k layout.Key) (all [parts]part, same bool, err error) {
	resp, err := c.KV.Txn(ctx).Then(append(u.gets(), clientv3.OpGet(c.hardPath(namespaceOf(k))))...).Commit()
	if err != nil {
		return all, false, err
	}
	hards := resp.Responses[parts].GetResponseRange().Kvs
	if _, err := c.learnHard(namespaceOf(k), hards); err != nil || revisionOf(hards) != h.revision {
		return all, false, err
	}
	return u.read(resp.Responses[:parts]), true, nil
}

// roomIn returns how much room there is in all parts; false if the objects have to be counted.
func roomIn(all [parts]part, hard int64) (room int64, counted bool) {
	for i := range all {
		room += all[i].left(hard)
	}
	return room, all[0].Hard == hard
}

// tally counts the objects of what k is of, of which the quotas allow so many, and stores how much room there is if all says something
// else. While the objects have not been counted, none is created or deleted; afterwards, each creation and deletion changes a part. So the
// number is right if no part has changed meanwhile. It is false if one has, or if the quotas do not limit what h says.
func (c *Client) tally(ctx context.Context, h *hard, u *used, k layout.Key, all [parts]part, most int64) (objects int64, right bool, err error) {
	if objects, err = c.objects(ctx, k); err != nil {
		return 0, false, err
	}
	is, counted := roomIn(all, h.revision)
	if counted && is == most-objects {
		return objects, true, nil
	}
	compares := []clientv3.Cmp{unmoved(c.hardPath(namespaceOf(k)), h.revision)}
	var puts []clientv3.Op
	for i, key := range u.keys {
		compares = append(compares, unmoved(key, all[i].revision))
		value := room{Hard: h.revision}
		if i == 0 {
			value.Room = most - objects
		}
		if i == 0 || counted {
			puts = append(puts, clientv3.OpPut(key, value.encode()))
		}
	}
	resp, err := c.KV.Txn(ctx).If(compares...).Then(puts...).Commit()
	if err != nil || !resp.Succeeded {
		return 0, false, err
	}
	u.forget()
	return objects, true, nil
}

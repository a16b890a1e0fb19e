package etcd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

// clients returns a client that asks the embedded etcd directly, and one that takes the socket.
func clients(t *testing.T, e *Embedded) (direct, socket *kubernetes.Client) {
	t.Helper()
	direct, err := e.NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = direct.Close() })
	socket, err = NewClient(Endpoints{URLs: []string{e.endpoint}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return direct, socket
}

func TestDirect_ReadsAndWritesWithoutTheSocket(t *testing.T) {
	e := startEmbedded(t)
	if err := os.Remove(e.socket); err != nil {
		t.Fatal(err)
	}
	client, _ := clients(t, e)
	put, err := client.Kubernetes.OptimisticPut(t.Context(), "/key", []byte("value"), 0, kubernetes.PutOptions{GetOnFailure: true})
	if err != nil || !put.Succeeded {
		t.Fatalf("%+v, %v", put, err)
	}
	got, err := client.Kubernetes.Get(t.Context(), "/key", kubernetes.GetOptions{})
	if err != nil || string(got.KV.Value) != "value" || got.Revision != put.Revision {
		t.Errorf("%+v, %v", got, err)
	}
	list, err := client.Kubernetes.List(t.Context(), "/", kubernetes.ListOptions{})
	if err != nil || len(list.Kvs) != 1 || list.Count != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	deleted, err := client.Kubernetes.OptimisticDelete(t.Context(), "/key", put.Revision, kubernetes.DeleteOptions{})
	if err != nil || !deleted.Succeeded {
		t.Errorf("%+v, %v", deleted, err)
	}
}

func TestDirect_AnswersAsTheSocketDoes(t *testing.T) {
	e := startEmbedded(t)
	direct, socket := clients(t, e)
	for range 3 {
		if _, err := direct.KV.Put(t.Context(), "key", "value"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := socket.KV.Compact(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	many := make([]clientv3.Op, 200)
	for i := range many {
		many[i] = clientv3.OpPut(strings.Repeat("k", i+1), "")
	}
	for name, request := range map[string]func(*kubernetes.Client) (int64, error){
		"a read": func(c *kubernetes.Client) (int64, error) {
			got, err := c.KV.Get(t.Context(), "key")
			return got.Count + got.Kvs[0].ModRevision + got.Header.Revision + int64(got.Header.MemberId>>1), err //nolint:gosec // any number will do
		},
		"a comparison that fails": func(c *kubernetes.Client) (int64, error) {
			got, err := c.KV.Txn(t.Context()).If(clientv3.Compare(clientv3.ModRevision("key"), "=", 1)).Else(clientv3.OpGet("key")).Commit()
			return got.Responses[0].GetResponseRange().Count, err
		},
		"no key": func(c *kubernetes.Client) (int64, error) { _, err := c.KV.Get(t.Context(), ""); return 0, err },
		"a compacted revision": func(c *kubernetes.Client) (int64, error) {
			_, err := c.KV.Get(t.Context(), "key", clientv3.WithRev(1))
			return 0, err
		},
		"a revision to come": func(c *kubernetes.Client) (int64, error) {
			_, err := c.KV.Get(t.Context(), "key", clientv3.WithRev(99))
			return 0, err
		},
		"a client that has gone": func(c *kubernetes.Client) (int64, error) { _, err := c.KV.Get(gone, "key"); return 0, err },
		"a write that comes late": func(c *kubernetes.Client) (int64, error) {
			_, err := c.KV.Txn(late).Then(clientv3.OpPut("late", "")).Commit()
			return 0, err
		},
		"too large": func(c *kubernetes.Client) (int64, error) {
			_, err := c.KV.Txn(t.Context()).Then(clientv3.OpPut("large", strings.Repeat("x", maxRequestBytes+1))).Commit()
			return 0, err
		},
		"too many operations": func(c *kubernetes.Client) (int64, error) {
			_, err := c.KV.Txn(t.Context()).Then(many...).Commit()
			return 0, err
		},
		"the same key twice": func(c *kubernetes.Client) (int64, error) {
			_, err := c.KV.Txn(t.Context()).Then(clientv3.OpPut("key", ""), clientv3.OpPut("key", "")).Commit()
			return 0, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := request(direct)
			want, wantErr := request(socket)
			if got != want {
				t.Errorf("got %d, want %d", got, want)
			}
			if (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, wantErr) && err.Error() != wantErr.Error() {
				t.Errorf("error %#v, want %#v", err, wantErr)
			}
		})
	}
	// What was refused is not written after all.
	if got, err := socket.KV.Get(t.Context(), "", clientv3.WithPrefix(), clientv3.WithKeysOnly()); err != nil || got.Count != 1 || got.Header.Revision != 4 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Etcd must not end below a call.
func TestDirect_EndsBetweenCalls(t *testing.T) {
	e, err := StartEmbedded(t.Context(), filepath.Join(t.TempDir(), "etcd"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := e.NewClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	var begun, all sync.WaitGroup
	for range 8 {
		begun.Add(1)
		all.Go(func() {
			begin := sync.OnceFunc(begun.Done)
			defer begin()
			for {
				_, writing := client.KV.Txn(t.Context()).Then(clientv3.OpPut("key", "value"), clientv3.OpGet("key")).Commit()
				_, reading := client.KV.Get(t.Context(), "", clientv3.WithPrefix())
				begin()
				if writing != nil && reading != nil {
					return
				}
			}
		})
	}
	begun.Wait()
	_ = client.Close()
	e.Stop()
	all.Wait()
}

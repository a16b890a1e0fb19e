package etcd

import (
	"errors"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func startEmbedded(t *testing.T) *Embedded {
	t.Helper()
	server, err := StartEmbedded(t.Context(), filepath.Join(t.TempDir(), "etcd"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

func TestHold_KeepsEverythingFromEtcdUntilItIsReleased(t *testing.T) {
	refused := errors.New("not for this process")
	for name, want := range map[string]error{"released": nil, "refused": refused} {
		t.Run(name, func(t *testing.T) {
			hold := NewHold()
			client, err := startEmbedded(t).NewClient(hold)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			requests := map[string]func() error{
				"read":  func() error { _, err := client.KV.Get(t.Context(), "key"); return err },
				"write": func() error { _, err := client.KV.Put(t.Context(), "key", ""); return err },
				"read in a stream": func() error {
					stream, err := client.GetStream(t.Context(), "key", clientv3.WithPrefix())
					if err != nil {
						return err
					}
					_, err = clientv3.GetStreamToGetResponse(stream)
					return err
				},
			}
			type answer struct {
				request string
				early   bool
				err     error
			}
			answers := make(chan answer)
			for name, request := range requests {
				go func() {
					err := request()
					answers <- answer{name, !hold.Released(), err}
				}()
			}
			// What passes is answered; by then the others would be, too, unless they are held.
			for range 3 {
				if _, err := client.KV.Get(Passing(t.Context()), "key"); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case a := <-answers:
				t.Fatalf("%s was not held: %v", a.request, a.err)
			default:
			}
			hold.Release(want)
			for range requests {
				if a := <-answers; a.early || !errors.Is(a.err, want) {
					t.Errorf("%s: early: %t, error: %v", a.request, a.early, a.err)
				}
			}
		})
	}
}

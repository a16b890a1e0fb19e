package pack

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/util/uuid"
)

// object returns bytes as those of many objects of a kind.
func object(n int) string {
	return fmt.Sprintf(`{"kind":"Workspace","apiVersion":"tenancy.kcp.io/v1alpha1","metadata":{"name":"team-%d","uid":"%s","labels":{"tenancy.kcp.io/phase":"Ready"},`+
		`"annotations":{"internal.tenancy.kcp.io/cluster":"c%d"},"finalizers":["core.kcp.io/logicalcluster"]},"spec":{"type":{"name":"universal","path":"root"},"cluster":"c%d"},`+
		`"status":{"phase":"Ready","conditions":[{"type":"WorkspaceScheduled","status":"True","lastTransitionTime":"2026-11-27T16:%02d:00Z"}]}}`, n, uuid.NewUUID(), n, n, n%60)
}

func TestPacker_KeepsWhatDiffers(t *testing.T) {
	p := NewPacker()
	var in, out int
	for n := range 1000 {
		data := object(n)
		packed, with := p.Pack("workspaces", data)
		if with == nil {
			if n >= usual {
				t.Fatalf("object %d was not packed", n)
			}
			continue
		}
		if got := string(with.Unpack(packed)); got != data {
			t.Fatalf("%q became %q", data, got)
		}
		if with.Size(packed) != len(data) {
			t.Errorf("%d bytes count as %d", len(data), with.Size(packed))
		}
		in, out = in+len(data), out+len(packed)
	}
	if out*4 > in {
		t.Errorf("%d bytes became %d", in, out)
	}
}

func TestPacker_LeavesWhatIsNotAlike(t *testing.T) {
	p, random := NewPacker(), rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		return string(data)
	}
	packed := map[string]int{}
	for n := range 10 * usual {
		for kind, data := range map[string]string{"small": object(n)[:least-1], "large": strings.Repeat("x", most+1), "noise": noise(1000)} {
			if _, with := p.Pack(kind, data); with != nil {
				packed[kind]++
			}
		}
	}
	// What becomes a dictionary is like it.
	if packed["small"] != 0 || packed["large"] != 0 || packed["noise"] > 4 {
		t.Errorf("packed are %v", packed)
	}
	if k := p.of("noise"); k.want <= usual {
		t.Errorf("another dictionary is tried after %d objects", k.want)
	}
	// What was noise may become alike.
	packed["noise"] = 0
	for n := range 100 * usual {
		if _, with := p.Pack("noise", object(n)); with != nil {
			packed["noise"]++
		}
	}
	if packed["noise"] == 0 {
		t.Error("nothing is packed of a kind whose objects became alike")
	}
}

// One tenant writes noise without end, many times as much as the others write.
func TestPacker_NobodyTurnsItOff(t *testing.T) {
	p, random := NewPacker(), rand.New(rand.NewPCG(3, 4))
	packed, lately := 0, 0
	for n := range 40_000 {
		noise := make([]byte, 1000)
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		p.Pack("k", string(noise))
		for range 1 + random.IntN(2) {
			p.Pack("k", string(noise[:500])+string(noise[:500]))
		}
		if n%2 == 0 {
			continue
		}
		_, with := p.Pack("k", object(n))
		if with != nil {
			packed++
		}
		if n >= 20_000 && with != nil {
			lately++
		}
	}
	if packed < 1000 || lately < 500 {
		t.Errorf("%d objects of others were packed, %d in the second half", packed, lately)
	}
}

// Kinds are made and deleted without end.
func TestPacker_ForgetsKinds(t *testing.T) {
	p := NewPacker()
	for kind := range 100 * generation {
		p.of(fmt.Sprint(kind))
	}
	if n := len(p.young) + len(p.old); n > 2*generation {
		t.Errorf("%d kinds are kept", n)
	}
}

func TestPacker_TogetherWithOthers(t *testing.T) {
	p := NewPacker()
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) * 2 {
		all.Go(func() {
			for n := range 200 {
				data := object(n)
				if packed, with := p.Pack(fmt.Sprint(n%3), data); with != nil && string(with.Unpack(packed)) != data {
					t.Errorf("object %d became another", n)
				}
			}
		})
	}
	all.Wait()
}

func FuzzPack(f *testing.F) {
	f.Add([]byte(object(1)))
	p := NewPacker()
	for n := range 2 * usual {
		p.Pack("k", object(n))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if packed, with := p.Pack("k", string(data)); with != nil && string(with.Unpack(packed)) != string(data) {
			t.Errorf("%q became another", data)
		}
		_, with := p.Pack("k", object(1))
		if with != nil {
			_ = with.Unpack(string(data)) // does not panic
			_ = with.Size(string(data))
		}
	})
}

func BenchmarkPack(b *testing.B) {
	p := NewPacker()
	for n := range 2 * usual {
		p.Pack("k", object(n))
	}
	data := object(7)
	packed, with := p.Pack("k", data)
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			p.Pack("k", data)
		}
	})
	b.Run("unpack", func(b *testing.B) {
		for b.Loop() {
			with.Unpack(packed)
		}
	})
	b.ReportMetric(float64(len(packed))/float64(len(data)), "part")
}

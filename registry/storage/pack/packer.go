package pack

import (
	"strings"
	"sync"

	"github.com/klauspost/compress/s2"
)

const (
	// least and most are how many bytes what is packed has.
	least, most = 256, 32 << 10
	// usual is how many objects of a kind are met before one becomes their dictionary, and between two looks at how good that is. A kind
	// with dictionaries that are not good is looked at less often, after seldom objects at last.
	usual, seldom = 32, 2048
	// dictionaryBytes is the largest dictionary.
	dictionaryBytes = 4 << 10
	// generation is how many kinds are remembered that were met lately, twice. To pack takes a table of 32 KiB for each.
	generation = 64
	// good is the part of its size, in percent, to which a dictionary should bring what is packed on average, and worth the most
	// to which it must bring it to be packed at all.
	good, worth = 50, 75
)

// Dictionary is what bytes are packed with. It does not change.
type Dictionary struct{ of *s2.Dict }

// Unpack returns what was packed; nil if data was not packed with d.
func (d *Dictionary) Unpack(data string) []byte {
	out, err := d.of.Decode(nil, []byte(data))
	if err != nil {
		return nil
	}
	return out
}

// Size returns how many bytes [Dictionary.Unpack] returns.
func (d *Dictionary) Size(data string) int {
	head := data
	if len(head) > 16 {
		head = head[:16] // the size comes first
	}
	size, err := s2.DecodedLen([]byte(head))
	if err != nil {
		return 0
	}
	return size
}

// Packer packs bytes of many kinds. It is safe for concurrent use. The zero value is not ready; see [NewPacker].
type Packer struct {
	lock       sync.Mutex
	young, old map[string]*kind
}

// kind is what is known of a kind.
type kind struct {
	lock sync.Mutex
	met  int      // objects since the last look, or since there was none
	want int      // of these, until the next look
	with *s2.Dict // packs; has a table for that
	made *Dictionary
	// in and out count bytes since the last look.
	in, out int
}

// NewPacker returns a Packer that has met nothing.
func NewPacker() *Packer { return &Packer{young: map[string]*kind{}} }

// of returns what is known of a kind.
func (p *Packer) of(name string) *kind {
	p.lock.Lock()
	defer p.lock.Unlock()
	if k := p.young[name]; k != nil {
		return k
	}
	k := p.old[name]
	if k == nil {
		k = &kind{want: usual}
	}
	if len(p.young) >= generation {
		p.old, p.young = p.young, map[string]*kind{}
	}
	p.young[strings.Clone(name)] = k // it may be a part of something large
	return k
}

// buffers hold what is packed until its size is known.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Pack packs data of a kind. With nil, it is not packed.
func (p *Packer) Pack(name, data string) (string, *Dictionary) {
	if len(data) < least || len(data) > most {
		return "", nil
	}
	k := p.of(name)
	with, made := k.dictionary(data)
	if made == nil {
		return "", nil
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	packed := with.Encode(*buffer, []byte(data))
	if cap(packed) > cap(*buffer) {
		*buffer = packed
	}
	*buffer = (*buffer)[:cap(*buffer)]
	k.count(made, len(data), len(packed))
	if len(packed)*100 > len(data)*worth {
		return "", nil
	}
	return string(packed), made
}

// dictionary returns that of the kind; nil if there is none yet. Data is the next object of the kind.
func (k *kind) dictionary(data string) (*s2.Dict, *Dictionary) {
	k.lock.Lock()
	defer k.lock.Unlock()
	if k.made == nil {
		if k.met++; k.met < k.want {
			return nil, nil
		}
		from := []byte(data[:min(len(data), dictionaryBytes)])
		// The dictionary that stays with what is packed has no table.
		k.with, k.made = s2.MakeDict(from, nil), &Dictionary{of: s2.MakeDict(from, nil)}
		k.met, k.in, k.out = 0, 0, 0
	}
	return k.with, k.made
}

// count counts what was packed. If the dictionary is not good, the next object becomes another: until then, and even with a bad one, what is
// like it is packed. So nobody can keep the objects of others from being packed for long.
func (k *kind) count(with *Dictionary, in, out int) {
	k.lock.Lock()
	defer k.lock.Unlock()
	if k.made != with {
		return
	}
	k.met++
	k.in += in
	k.out += out
	if k.met < k.want {
		return
	}
	if k.out*100 > k.in*good {
		k.with, k.made = nil, nil
		k.want = min(k.want*4, seldom)
		k.met = k.want
	} else {
		k.want, k.met = usual, 0
	}
	k.in, k.out = 0, 0
}

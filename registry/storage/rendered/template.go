package rendered

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// Slots in a body: what differs between clusters. They are strings of JSON with a character in them that JSON has to escape, so that
// nothing a user writes looks like one.
const (
	slotMark = "\x01"
	// SlotUID is the UID of the object, SlotCreated its creation time, and SlotCluster the name of its cluster.
	SlotUID     = slotMark + "uid" + slotMark
	SlotCreated = slotMark + "created" + slotMark
	SlotCluster = slotMark + "cluster" + slotMark
)

// SlotValue is the value of the cluster with this number.
func SlotValue(i int) string { return slotMark + strconv.Itoa(i) + slotMark }

// Template is what clusters contain from the beginning. It never changes: another template has another name.
type Template struct {
	Objects []Object `json:"objects"`
}

// Object is an object of a template.
type Object struct {
	Group     string `json:"group,omitempty"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
	// Name may have slots, too.
	Name string `json:"name"`
	// Body is the object as JSON, with slots.
	Body string `json:"body"`

	alike *raw.Alike // nil unless there are no slots in the head
}

// MaxValues is how many values a template may ask a cluster for.
const MaxValues = 32

// Encode returns t as it is stored, and its name, which is made from that. It fails if an object is not one, or there twice.
func (t *Template) Encode() (name string, data []byte, err error) {
	sample := values{cluster: "c", values: make([]string, MaxValues)}
	for i := range sample.values {
		sample.values[i] = fmt.Sprint("v", i)
	}
	seen := map[layout.Key]bool{}
	for i := range t.Objects {
		o := &t.Objects[i]
		k := o.key(sample)
		if parsed, err := layout.Parse(k.String()); err != nil || parsed != k || seen[k] {
			return "", nil, fmt.Errorf("%s %q cannot be in a template", o.GroupResource(), o.Name)
		}
		seen[k] = true
		if body := o.render(sample); !json.Valid(body) || bytes.Contains(body, []byte(slotMark)) {
			return "", nil, fmt.Errorf("%s %q of a template is not JSON, or has a slot that does not exist", o.GroupResource(), o.Name)
		}
	}
	if data, err = json.Marshal(t); err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16]), data, nil
}

// decodeTemplate reads what Encode wrote.
func decodeTemplate(name string, data []byte) (*Template, error) {
	t := &Template{}
	if err := json.Unmarshal(data, t); err != nil {
		return nil, fmt.Errorf("reading template %s: %w", name, err)
	}
	if is, _, err := t.Encode(); err != nil || is != name {
		return nil, fmt.Errorf("template %s is damaged", name)
	}
	for i := range t.Objects {
		t.Objects[i].findAlike()
	}
	return t, nil
}

// findAlike finds out whether the heads of all objects that are made from o are the same, apart from their UIDs.
func (o *Object) findAlike() {
	var heads [2]metav1.ObjectMeta
	for at := range heads {
		v := values{cluster: logicalcluster.Name(fmt.Sprint("cluster-", at)), uid: types.UID(fmt.Sprint("uid-", at)), created: time.Unix(int64(at)<<30, 0)}
		for n := range MaxValues {
			v.values = append(v.values, fmt.Sprint("value-", at, "-", n))
		}
		var ok bool
		if heads[at], ok = raw.MetadataOf(o.render(v)); !ok {
			return
		}
		heads[at].UID = ""
	}
	if apiequality.Semantic.DeepEqual(heads[0], heads[1]) {
		o.alike = &raw.Alike{}
	}
}

// GroupResource returns what o is an object of.
func (o *Object) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: o.Group, Resource: o.Resource}
}

func (o *Object) key(v values) layout.Key {
	return layout.Key{Resource: o.GroupResource(), Cluster: v.cluster, Namespace: o.Namespace, Name: string(o.fill(o.Name, v))}
}

// values are what fills slots.
type values struct {
	cluster logicalcluster.Name
	uid     types.UID // of the LogicalCluster
	created time.Time
	values  []string
}

// render returns the body with its slots filled.
func (o *Object) render(v values) []byte { return o.fill(o.Body, v) }

// fill returns text with its slots filled, as JSON needs it.
func (o *Object) fill(text string, v values) []byte {
	var out bytes.Buffer
	out.Grow(len(text) + 64)
	rest := text
	for {
		literal, slot, found := cut(rest)
		out.WriteString(literal)
		if !found {
			return out.Bytes()
		}
		slot, rest = slot[:len(slot)-1], rest[len(literal)+len(slot):]
		switch i, err := strconv.Atoi(slot[1:]); {
		case slot+slotMark == SlotUID:
			out.WriteString(o.uid(v))
		case slot+slotMark == SlotCreated:
			out.WriteString(v.created.UTC().Format(time.RFC3339))
		case slot+slotMark == SlotCluster:
			out.WriteString(v.cluster.String())
		case err == nil && i >= 0 && i < len(v.values):
			quoted, _ := json.Marshal(v.values[i]) // strings never fail
			out.Write(quoted[1 : len(quoted)-1])
		default:
			out.WriteString(slot + slotMark)
		}
	}
}

// cut returns what comes before the first slot, and the slot with its marks.
func cut(s string) (literal, slot string, found bool) {
	start := strings.IndexByte(s, slotMark[0])
	if start < 0 {
		return s, "", false
	}
	end := strings.IndexByte(s[start+1:], slotMark[0])
	if end < 0 {
		return s, "", false
	}
	return s[:start], s[start : start+end+2], true
}

// uid returns the UID of the object, which follows from that of the LogicalCluster.
func (o *Object) uid(v values) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(string(v.uid)+o.key(v).String())).String()
}

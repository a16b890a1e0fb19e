package clustername

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// The vectors are those of kcp (spec/01 §1).
func TestHome_MatchesVectors(t *testing.T) {
	for username, want := range map[string]logicalcluster.Name{
		"alice":   "v1u4alow0iv9",
		"bob":     "2okdry95y5lkv",
		"":        "36ks9xj4a2n61",
		"user172": "0f9mt7goyif7", // the hash begins with a zero byte
	} {
		if got := Home(username); got != want {
			t.Errorf("Home(%q) = %q, want %q", username, got, want)
		}
	}
}

func TestFromUID_IsStableAndDistinct(t *testing.T) {
	seen := map[logicalcluster.Name]string{}
	for i := range 2000 {
		uid := types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i))
		for attempt := range 3 {
			name := FromUID(uid, attempt)
			if again := FromUID(uid, attempt); again != name {
				t.Fatalf("FromUID(%s, %d) is %q, then %q", uid, attempt, name, again)
			}
			if _, err := logicalcluster.ParseName(name.String()); err != nil || len(name) != 16 {
				t.Fatalf("FromUID(%s, %d) = %q is no name of 16 characters: %v", uid, attempt, name, err)
			}
			key := fmt.Sprintf("%s/%d", uid, attempt)
			if other, ok := seen[name]; ok {
				t.Fatalf("%s and %s have the same name %q", key, other, name)
			}
			seen[name] = key
		}
	}
}

func TestBase36_PadsZeroBytes(t *testing.T) {
	for _, tc := range []struct {
		in   []byte
		want string
	}{
		{nil, ""}, {[]byte{0}, "0"}, {[]byte{0, 0, 1}, "001"}, {[]byte{35}, "z"}, {[]byte{36}, "10"}, {[]byte{1, 0}, "74"},
	} {
		if got := base36(tc.in); got != tc.want {
			t.Errorf("base36(%v) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestShardHash_HasEightCharacters(t *testing.T) {
	if got := ShardHash("root"); len(got) != 8 {
		t.Errorf("ShardHash(root) = %q, want 8 characters", got)
	}
}

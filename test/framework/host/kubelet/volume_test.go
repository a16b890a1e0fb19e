package kubelet

import (
	"os"
	"testing"
)

func TestOwnerMode_IsThatOfTheRealMachine(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		mode os.FileMode
		want os.FileMode // of the owner
	}{
		"somebody else reads what all may":     {`{containers: [{name: c, image: i}]}`, 0o644, 0o4},
		"and not what root only may":           {`{containers: [{name: c, image: i}]}`, 0o400, 0},
		"a group of the pod's reads all of it": {`{securityContext: {fsGroup: 5}, containers: [{name: c, image: i}]}`, 0o400, 0o4},
		"root is root":                         {`{securityContext: {runAsUser: 0}, containers: [{name: c, image: i}]}`, 0o600, 0o6},
	} {
		o, err := newOptions([]Option{WithImageOf("i", Image{User: nonRoot})})
		if err != nil {
			t.Fatal(err)
		}
		p := newPod(&Kubelet{options: o}, podOf(t, test.spec))
		if got := p.ownerMode(test.mode) >> 6; got != test.want {
			t.Errorf("%s: the owner may %o, want %o", name, got, test.want)
		}
	}
}

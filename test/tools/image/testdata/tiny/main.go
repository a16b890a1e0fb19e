// Tiny stands for annex in tests of the image: quick to build for any platform, and with a module linked in.
package main

import (
	"fmt"

	"k8s.io/apiserver/pkg/util/shufflesharding"
)

func main() {
	fmt.Println(shufflesharding.RequiredEntropyBits(8, 2))
}

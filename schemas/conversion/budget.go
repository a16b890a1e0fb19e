package conversion

import (
	"fmt"
)

const (
	// maxCost is what all transformations of one object may cost, in the units of Kubernetes, of which 1,000,000 take about a tenth of a second.
	maxCost = 1_000_000
	// maxBytes is how large an object may become, in bytes of JSON: as much as a request may have, and twice what etcd stores.
	maxBytes = 3 << 20

	// Converting many objects at once must not take much longer than converting one of them takes at most: meanwhile nobody looks whether the
	// request has ended. Few objects cost more than a hundredth of what they may.
	callCost, averageCost = 10 * maxCost, maxCost / 100
	// callBytes is what many objects may become together in addition to twice what they are.
	callBytes = 4 << 20
)

// Budget says what conversions may still cost. It is for one goroutine.
type Budget struct {
	cost, bytes int64
	many        bool
}

// NewBudget returns what may be spent on so many objects, which have so many bytes of JSON together.
func NewBudget(objects, bytes int) *Budget {
	if objects <= 1 {
		return &Budget{cost: 2 * maxCost, bytes: 2 * maxBytes} // there may be two steps
	}
	return &Budget{cost: callCost + averageCost*int64(objects), bytes: callBytes + 2*int64(bytes), many: true}
}

// object is what may be spent on one object.
type object struct {
	cost, bytes int64
	of          *Budget
}

func (b *Budget) object() *object { return &object{cost: maxCost, bytes: maxBytes, of: b} }

// evaluated takes what an expression has cost.
func (o *object) evaluated(cost int64) error {
	o.cost -= cost
	o.of.cost -= cost
	switch {
	case o.cost < 0:
		return tooCostly()
	case o.of.cost < 0 && o.of.many:
		return fmt.Errorf("the transformations of so many objects at once cost too much: list fewer of them with one request")
	case o.of.cost < 0:
		return tooCostly()
	}
	return nil
}

func tooCostly() error {
	return fmt.Errorf("the transformations of one object may cost at most %d", maxCost)
}

// made takes the bytes of a part of the new object.
func (o *object) made(bytes int) error {
	o.bytes -= int64(bytes)
	o.of.bytes -= int64(bytes)
	switch {
	case o.bytes < 0:
		return fmt.Errorf("the converted object may have at most %d bytes", maxBytes)
	case o.of.bytes < 0:
		return fmt.Errorf("so many converted objects are too large: list fewer of them with one request")
	}
	return nil
}

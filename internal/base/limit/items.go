package limit

const (
	blockItems = 7
	blockChunk = 256
)

// items keeps lists of hashes in a bounded number of blocks of 32 octets. A
// list is named by its first block; 0 is the empty one. Use newItems.
type items struct {
	most   int // blocks at once
	len    int
	chunks []*[blockChunk]block
	used   uint32
	free   uint32
}

// block holds hashes from the front; 0 is none.
type block struct {
	hashes [blockItems]uint32
	next   uint32
}

func newItems(most int) items { return items{most: max(1, most)} }

func (it *items) at(b uint32) *block { return &it.chunks[b/blockChunk][b%blockChunk] }

func (it *items) has(list, hash uint32) bool {
	for b := list; b != 0; {
		block := it.at(b)
		for _, h := range block.hashes {
			if h == hash {
				return true
			}
		}
		b = block.next
	}
	return false
}

// fits reports whether add will not need a block that is not there.
func (it *items) fits(list uint32) bool {
	return it.len < it.most || list != 0 && it.at(list).hashes[blockItems-1] == 0
}

// add returns the list with the hash. The caller has asked fits.
func (it *items) add(list, hash uint32) uint32 {
	if list != 0 {
		b := it.at(list)
		for i, h := range b.hashes {
			if h == 0 {
				b.hashes[i] = hash
				return list
			}
		}
	}
	b := it.take()
	*it.at(b) = block{hashes: [blockItems]uint32{hash}, next: list}
	return b
}

func (it *items) take() uint32 {
	it.len++
	if b := it.free; b != 0 {
		it.free = it.at(b).next
		return b
	}
	it.used++
	if int(it.used/blockChunk) >= len(it.chunks) {
		it.chunks = append(it.chunks, new([blockChunk]block))
	}
	return it.used
}

// release gives all blocks of the list back.
func (it *items) release(list uint32) {
	for list != 0 {
		b := it.at(list)
		next := b.next
		*b = block{next: it.free}
		it.free = list
		it.len--
		list = next
	}
}

// list returns the hashes, in no order.
func (it *items) list(list uint32) []uint32 {
	var all []uint32
	for b := list; b != 0; {
		block := it.at(b)
		for _, h := range block.hashes {
			if h != 0 {
				all = append(all, h)
			}
		}
		b = block.next
	}
	return all
}

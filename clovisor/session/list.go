package session

// list is a list of connections, the longest idle first.
type list struct {
	first, last *conn
	size        int
}

func (l *list) push(c *conn) {
	c.list, c.prev, c.next = l, l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
	l.size++
}

func (l *list) remove(c *conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next = nil, nil
	l.size--
}

// touch moves a connection to the end.
func (l *list) touch(c *conn) {
	if l.last != c {
		l.remove(c)
		l.push(c)
	}
}

// list2 lists connections that wait for bytes before others.
type list2 struct{ first *conn }

func (l *list2) add(c *conn) {
	if c.holeList {
		return
	}
	c.holeList, c.holePrev, c.holeNext = true, nil, l.first
	if l.first != nil {
		l.first.holePrev = c
	}
	l.first = c
}

func (l *list2) remove(c *conn) {
	if !c.holeList {
		return
	}
	if c.holePrev != nil {
		c.holePrev.holeNext = c.holeNext
	} else {
		l.first = c.holeNext
	}
	if c.holeNext != nil {
		c.holeNext.holePrev = c.holePrev
	}
	c.holeList, c.holePrev, c.holeNext = false, nil, nil
}

/*
 * A machine that shows something and tells what reached it: a boot sector
 * for QEMU's pc machine, in real mode on the BIOS.
 *
 * Screen: 640x480 pixels, as before any machine runs, so that a server which
 * dials out at once need not change its size; 80x30 letters in eight colours.
 * Keys (int 16h) are put on the screen and sent to COM1 as "k <hex>";
 * presses of the left button, read from the VMware mouse port that QEMU's
 * i8042 offers (absolute positions without a USB driver), as
 * "c <x hex> <y hex>", 0 to ffff each, with a mark on the screen.
 * "ready" is sent when all of it listens.
 *
 * The mouse port: QEMU hw/i386/vmmouse.c and vmport.c. eax: magic, ecx:
 * command, ebx: argument, dx: port.
 */
	.code16
	.globl _start

	.set COLUMNS, 80
	.set ROWS, 30
	.set MAGIC, 0x564D5868
	.set PORT, 0x5658
	.set POINTER_DATA, 39
	.set POINTER_STATUS, 40
	.set POINTER_COMMAND, 41
	.set ENABLE, 0x45414552
	.set ABSOLUTE, 0x53424152
	.set LEFT, 0x20

_start:
	ljmp	$0, $1f
1:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$_start, %sp
	sti
	cld
	movw	$0x0012, %ax		# 640x480, 16 colours
	int	$0x10

	xorw	%cx, %cx		# the pattern
1:	movb	%ch, %bl		# rows / 4: colours 8 to 15
	shrb	$2, %bl
	orb	$8, %bl
	movb	%ch, %al
	shlb	$4, %al
	addb	%cl, %al
	andb	$0x3f, %al
	addb	$0x20, %al
	movw	%cx, %dx
	call	put
	incb	%cl
	cmpb	$COLUMNS, %cl
	jb	1b
	xorb	%cl, %cl
	incb	%ch
	cmpb	$ROWS, %ch
	jb	1b

	movw	$0x00e3, %ax		# COM1: 9600 8n1
	xorw	%dx, %dx
	int	$0x14
	movl	$ENABLE, %ebx
	movl	$POINTER_COMMAND, %ecx
	call	backdoor
	movl	$1, %ebx		# the version that it answers with
	movl	$POINTER_DATA, %ecx
	call	backdoor
	movl	$ABSOLUTE, %ebx
	movl	$POINTER_COMMAND, %ecx
	call	backdoor
	movw	$ready, %si
1:	lodsb
	testb	%al, %al
	jz	next
	call	send
	jmp	1b

next:	movb	$0x01, %ah		# a key?
	int	$0x16
	jz	pointer
	movb	$0x00, %ah
	int	$0x16
	testb	%al, %al		# shift and the like have no letter
	jz	next
	pushw	%ax
	movw	place, %dx
	movb	$0x0f, %bl
	call	put
	incb	%dl
	cmpb	$COLUMNS, %dl
	jb	1f
	xorb	%dl, %dl
	incb	%dh
1:	movw	%dx, place
	movb	$'k', %al
	call	send
	movb	$' ', %al
	call	send
	popw	%ax
	call	hex8
	call	newline
	jmp	next

pointer: movl	$POINTER_STATUS, %ecx
	call	backdoor
	cmpw	$4, %ax
	jae	1f
	hlt				# until the timer or a key
	jmp	next
1:	movl	$4, %ebx
	movl	$POINTER_DATA, %ecx
	call	backdoor
	andb	$LEFT, %al
	xchgb	%al, held
	cmpb	%al, held
	je	next
	cmpb	$0, held
	je	next
	pushw	%cx
	pushw	%bx
	movb	$'c', %al
	call	send
	popw	%ax
	pushw	%ax
	call	hex16
	popw	%bx
	popw	%ax
	pushw	%bx
	pushw	%ax
	call	hex16
	call	newline
	popw	%ax			# y: row of the mark
	movw	$ROWS, %bx
	mulw	%bx
	movw	%dx, %cx
	popw	%ax			# x: its column
	movw	$COLUMNS, %bx
	mulw	%bx
	movb	%cl, %dh
	movw	$0x0c00 + 'X', %ax
	movb	%ah, %bl
	call	put
	jmp	next

/* Letter al in colour bl at row dh, column dl. */
put:	pushw	%cx
	pushw	%ax
	xorb	%bh, %bh
	movb	$0x02, %ah
	int	$0x10
	popw	%ax
	movb	$0x09, %ah
	movw	$1, %cx
	int	$0x10
	popw	%cx
	ret

backdoor:
	movl	$MAGIC, %eax
	movw	$PORT, %dx
	inl	%dx, %eax
	ret

/* " " and ax as four digits */
hex16:	pushw	%ax
	movb	$' ', %al
	call	send
	popw	%ax
	pushw	%ax
	movb	%ah, %al
	call	hex8
	popw	%ax
hex8:	pushw	%ax
	shrb	$4, %al
	call	digit
	popw	%ax
	andb	$0x0f, %al
digit:	addb	$'0', %al
	cmpb	$'9', %al
	jbe	send
	addb	$'a' - '9' - 1, %al
	jmp	send
newline: movb	$'\n', %al
send:	pushw	%dx
	movb	$0x01, %ah
	xorw	%dx, %dx
	int	$0x14
	popw	%dx
	ret

ready:	.asciz	"ready\n"
held:	.byte	0
place:	.byte	0, 4			# column and row where keys appear
	.org	_start + 510
	.word	0xaa55
